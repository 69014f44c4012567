"""Dialects over pending requests: words, no state and no control flow."""

from abeyance.faces.deferral import DEFERRAL as DEFERRAL
from abeyance.faces.device import DEVICE as DEVICE
from abeyance.faces.face import Face as Face
from abeyance.faces.face import Words as Words
from abeyance.faces.render import ending_members as ending_members
from abeyance.faces.render import note_wait as note_wait
from abeyance.faces.render import render_answer as render_answer
from abeyance.faces.render import render_deferred as render_deferred
from abeyance.faces.render import render_error as render_error
from abeyance.faces.render import render_interaction as render_interaction
from abeyance.faces.render import render_success as render_success
