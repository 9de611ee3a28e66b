"""Screens: the workstation and its dialogs; each dialog is imported when it is first opened."""
