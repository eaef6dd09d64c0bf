"""XDS policies and their constructs, from files to rules (operations-and-integration 4).

``queries`` and ``expressions`` are their parts, ``policies`` and ``constructs`` the files, ``findings`` what ``check``
says of them, ``listing`` how they are shown.
"""
