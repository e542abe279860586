"""What the notebooks call: each function returns a polars frame or a matplotlib figure; notebooks hold no logic.

`session` says where one works, `look` what the models see, `retrain` what a candidate would change, `review` what analysts said.
Figures carry meaning by form and brightness, never by colour alone: they are read when printed in grey.
"""

from detector.learn.notebook import look, retrain, review
from detector.learn.notebook.session import Session, SessionError, open_session

__all__ = ["Session", "SessionError", "look", "open_session", "retrain", "review"]
