"""The front door: the command line and run folders; nothing scientific lives here."""
