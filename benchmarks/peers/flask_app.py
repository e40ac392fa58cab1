"""An ordinary page in Flask, without sessions and with Flask-Session over Redis."""

import os

from flask import Flask, jsonify, request, session
from flask_session import Session
from redis import Redis


def bare():
    app = Flask(__name__)

    @app.get("/hello")
    def hello():
        return jsonify(user="nobody")

    return app


def sessions():
    app = Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(os.environ["BENCH_REDIS"]), PERMANENT_SESSION_LIFETIME=1200)
    Session(app)

    @app.get("/login")
    def login():
        session["user"] = request.args["user"]
        return jsonify(user=session["user"])

    @app.get("/hello")
    def hello():
        return jsonify(user=session.get("user"))

    return app
