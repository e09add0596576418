"""The subcommands of `snnrun`, a module each, with ``run(arguments)`` and ``HELP``.

One whose help is made on demand has ``help_text()`` instead.
"""
