"""Flask's tutorial app, unmodified, with the adapter; its sources are on the path."""

import os

import cloakroom_flask
from flaskr import create_app
from flaskr.db import init_db

app = create_app({"DATABASE": os.environ["DATABASE"]})
app.session_interface = cloakroom_flask.FlaskSessions()
if not os.path.exists(os.environ["DATABASE"]):
    with app.app_context():
        init_db()
