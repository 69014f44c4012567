"""The stories, a module each: `tell(told)`. Three are the draft's."""
