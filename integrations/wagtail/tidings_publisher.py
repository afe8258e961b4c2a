"""Publishers of a Wagtail Live site whose readers are served by `tidings relay`.

Copy this file into the site, and name one of the two classes in its settings:

    WAGTAIL_LIVE_PUBLISHER = "mysite.tidings_publisher.TidingsRedisPublisher"

`TidingsRedisPublisher` needs redis-py (4.3 or later); `TidingsHttpPublisher` needs nothing but Python. Both run on any
Python from 3.7 on, with any Django that Wagtail Live runs on.
"""

import json
import logging
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

# Wagtail Live connects nothing that is not of this class. Its module imports nothing; that of the original's
# RedisPubSubPublisher imports aioredis, which fails on Python 3.11 and later.
from wagtail_live.publishers.websocket import BaseWebsocketPublisher

logger = logging.getLogger(__name__)

#: Seconds that a connection, or an answer, may take.
TIMEOUT = 2


class TidingsPublisher(BaseWebsocketPublisher):
    """What both have in common; `send` is the way out."""

    def publish(self, channel_id, renders, removals):
        """Sends an update once what it shows is committed: at once, or at the end of the transaction.

        Args:
            channel_id (str): ID of the page's channel.
            renders (dict): `{"<post id>": {"show": bool, "content": "<html>"}}`, oldest first.
            removals (iterable of str): IDs of the posts that are gone.
        """
        removals = list(removals)
        transaction.on_commit(lambda: self._try_to_send(channel_id, renders, removals))

    def _try_to_send(self, channel_id, renders, removals):
        # Saving a page has succeeded, whatever happens here.
        try:
            self.send(channel_id, renders, removals)
        except Exception as error:
            logger.exception("Readers of %s were not told of an update: %s", channel_id, error)

    def send(self, channel_id, renders, removals):
        raise NotImplementedError


class TidingsRedisPublisher(TidingsPublisher):
    """Over the Redis of WAGTAIL_LIVE_REDIS_URL, in the words of the original's publishers."""

    def __init__(self):
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        # One client per process: it connects when it is first used, keeps a pool for the threads, and may be forked.
        self.redis = redis.Redis.from_url(
            getattr(settings, "WAGTAIL_LIVE_REDIS_URL", "redis://127.0.0.1:6379/1"),
            socket_connect_timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            # A connection that something between here and Redis has dropped shows only when it is used: once more, on
            # a fresh one. A reader who is told the same twice sees it once.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[redis.exceptions.ConnectionError, redis.exceptions.TimeoutError],
        )

    def send(self, channel_id, renders, removals):
        self.redis.publish(f"group_{channel_id}", json.dumps({"renders": renders, "removals": removals}))


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, with the token, wherever it is sent."""

    def redirect_request(self, *args, **kwargs):
        return None


class TidingsHttpPublisher(TidingsPublisher):
    """Over HTTP, to the relay at TIDINGS_URL, with its TIDINGS_TOKEN."""

    def __init__(self):
        self.url = getattr(settings, "TIDINGS_URL", "http://localhost:8765").rstrip("/")
        self.token = getattr(settings, "TIDINGS_TOKEN", "")
        if not self.token:
            raise ImproperlyConfigured("TIDINGS_TOKEN must be the token that the relay was started with.")
        self.opener = build_opener(_NoRedirects)

    def send(self, channel_id, renders, removals):
        posts = [{"id": post_id, **render} for post_id, render in renders.items()]
        request = Request(
            f"{self.url}/api/channels/{quote(channel_id, safe='')}/updates",
            data=json.dumps({"renders": posts, "removals": removals}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            self.opener.open(request, timeout=TIMEOUT).close()
        except HTTPError as error:
            # What the relay says: a wrong token, Redis is away, …
            with error:
                said = error.read(1000).decode(errors="replace")
            raise RuntimeError(f"{error.code} {said}") from None
