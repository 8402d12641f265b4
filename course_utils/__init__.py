"""The helper package of *Descent*, a course on how neural networks learn.

Import the module you need: ``from course_utils import optimizers, plots``. Each module is one
idea; its docstring says what the idea is and which lessons use it. Importing the package itself
loads nothing, and the modules of numbers (differentiation, losses, surfaces, optimizers,
schedules, descent, data) need NumPy only: PyTorch (networks, sharpness, patients), Matplotlib and
the widgets wait until a lesson asks for them.
"""

__version__ = "0.1.0"
