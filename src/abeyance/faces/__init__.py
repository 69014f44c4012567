"""Dialects over pending requests: words, no state and no control flow."""

from abeyance.faces.deferral import DEFERRAL as DEFERRAL
from abeyance.faces.face import Face as Face
from abeyance.faces.face import Words as Words
from abeyance.faces.render import render_answer as render_answer
from abeyance.faces.render import render_error as render_error
from abeyance.faces.render import render_opened as render_opened
from abeyance.faces.render import render_success as render_success
