"""A Django site with Wagtail Live, in a process: says what its publisher logs, and when each save is done.

Its argument is its settings, as JSON. Each line of its input is an update that is saved, as JSON:
`{"channel", "posts": [[id, show, content]], "removals": [id], "transaction": "commit" | "rollback", "fork": bool}`; with `transaction`
it is saved in a transaction. For each, a line of output: `{"seconds", "logged": [str]}`.
"""

import json
import logging
import os
import sys
import time

import django
from django.conf import settings
from django.db import transaction
from django.utils.safestring import mark_safe


class Logged(logging.Handler):
    lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


class Post:
    """As Wagtail's StreamField holds one."""

    def __init__(self, id, show, content):
        self.id = id
        self.value = {"show": show}
        self.content = content

    def render(self, context):
        assert context == {"block_id": self.id}
        return mark_safe(self.content)


class RolledBack(Exception):
    pass


def save(update):
    from wagtail_live.signals import live_page_update

    live_page_update.send(
        sender=None,
        channel_id=update["channel"],
        renders=[Post(*post) for post in update.get("posts", [])],
        removals=set(update.get("removals", [])),
    )


def save_in_transaction(update):
    try:
        with transaction.atomic():
            save(update)
            if update["transaction"] == "rollback":
                raise RolledBack
    except RolledBack:
        pass


def answer(update):
    Logged.lines.clear()
    start = time.monotonic()
    (save_in_transaction if "transaction" in update else save)(update)
    return {"seconds": time.monotonic() - start, "logged": Logged.lines}


settings.configure(
    INSTALLED_APPS=["wagtail_live.apps.WagtailLiveConfig"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    LOGGING_CONFIG=None,
    **json.loads(sys.argv[1]),
)
logging.getLogger().addHandler(Logged())
django.setup()
print("ready", flush=True)
for line in sys.stdin:
    update = json.loads(line)
    if update.get("fork"):
        # As a server does that loads the site once and then forks: the child publishes, and ends.
        child = os.fork()
        if child == 0:
            print(json.dumps(answer(update)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    else:
        print(json.dumps(answer(update)), flush=True)
