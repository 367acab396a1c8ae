"""How a normalising step says no: text that begins with a mark no value can begin with, then a reason code."""

# The first step of every field takes control characters off both ends, so no input can forge a refusal.
MARK = "\x01"


def refusal(reason: str) -> str:
    """The text that stands for "refused because of `reason`"."""
    return MARK + reason
