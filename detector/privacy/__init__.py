"""The one place that sees plain names, and lets none past it.

`Privacy.of(config, keyring)` is step 2 of ROUTE. What may stay plain is the list in `fields.py`, published as
docs/privacy-fields.md; everything else becomes a token of its tenant and epoch.
"""

from detector.privacy.keys import FileKeyring, KeyFileError, Keyring, MemoryKeyring, new_dead_letters, new_privacy, new_signing
from detector.privacy.pseudonyms import Privacy

__all__ = ["FileKeyring", "KeyFileError", "Keyring", "MemoryKeyring", "Privacy", "new_dead_letters", "new_privacy", "new_signing"]
