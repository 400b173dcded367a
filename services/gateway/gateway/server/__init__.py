"""The server around the application: gunicorn, slow clients, unread bodies."""
