"""`abeyance demo`: the whole story on this machine, with both ends visible."""

from abeyance.cli.demo.command import demo as demo
