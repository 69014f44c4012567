"""Signing keys and derived secrets: loaded from a folder, made if it is empty."""

from abeyance.keys.folder import Keys as Keys
from abeyance.keys.folder import UnsafeKeys as UnsafeKeys
from abeyance.keys.folder import load_or_create as load_or_create
