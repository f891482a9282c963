"""The controller's store: SQLite, one writer, every acknowledged change safe on disk.

`schema` has the tables, `database` opens the file. `edit` is the one place through which a network
is changed: one transaction that also raises the revisions which the change makes necessary.
`networks`, `members` and `tokens` say what each change is. `store` is the face that the rest of the
controller sees.
"""
