"""The subcommands of `snnrun`, one module each, with ``help_text()`` and ``run(arguments)``."""
