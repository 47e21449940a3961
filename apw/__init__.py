"""The front door: the command line and run folders; nothing scientific lives here."""

__version__ = "0.1.0"
