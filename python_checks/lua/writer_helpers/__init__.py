"""The helper functions as Lua text, one file per section (see ``helpers``)."""
