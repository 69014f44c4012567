"""Signing keys and derived secrets: loaded from a folder, made if it is empty, rotated in it."""

from abeyance.keys.private_files import UnsafeKeys as UnsafeKeys
from abeyance.keys.ring import KeyRing as KeyRing
from abeyance.keys.schedule import Scheduled as Scheduled
