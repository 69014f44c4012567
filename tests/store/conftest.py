"""Failed assertions of the exported suite are explained like our own."""

import pytest

pytest.register_assert_rewrite("abeyance.store.suite")
