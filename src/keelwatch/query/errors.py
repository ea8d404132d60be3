"""What is wrong with a question, said to the person who asked it."""

from __future__ import annotations


class QuestionError(ValueError):
    """A parameter that cannot be understood. `parameter` names it, `hint` says what would be."""

    def __init__(self, parameter: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter
        self.hint = hint
