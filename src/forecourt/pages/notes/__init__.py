"""Notes of rows and the files attached to them: taken with forms, shown on pages, downloaded.

:mod:`~forecourt.pages.notes.kinds` says what a file is, :mod:`~forecourt.pages.notes.attaching` what a form takes,
:mod:`~forecourt.pages.notes.downloading` gives files out, :mod:`~forecourt.pages.notes.reading` lists a row's notes.
"""
