"""Explorers: Matplotlib sets the stage, the browser moves the actors.

An explorer is a figure with controls under it. Everything that stands still is drawn once by
Matplotlib; the artists that move are drawn by the browser. Every position of the controls is
computed beforehand, packed to 16 bits and sent once: moving a control asks nobody, so it works on
a slow link, after the kernel is gone, and in a saved page.

A control is an object, and an array says which controls it follows::

    explorer(
        fig,
        {"rate": Control(rates, "learning rate η"), "step": Control(range(21), play=True)},
        {walk: (On(path, "rate"), On(height, "rate"), "step")},
        says={"loss": On(height, "rate step")},
        status="η = {rate}, step {step}: loss {loss}",
        alt="a walk into a valley",
    )

A picture and a line of text go with it, which is what a stored notebook, a printed page or a
screen without JavaScript shows. `course_utils.explorers` builds the ones of the course.
"""

from course_utils.explore.controls import Control, On
from course_utils.explore.widget import Explorer, explorer

__all__ = ["Control", "Explorer", "On", "explorer"]
