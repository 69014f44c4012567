"""A call that cannot be carried out as it was made."""


class BadCall(Exception):
    """Which argument, what is wrong with it, and what to do; like a wrong setting."""

    def __init__(self, argument: str, problem: str, fix: str) -> None:
        super().__init__(argument, problem, fix)
        self.fix = fix
        self._text = f"{argument}: {problem}. {fix}"

    def __str__(self) -> str:
        return self._text
