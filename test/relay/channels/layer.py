"""A Django site on Channels, in a process: publishes as Wagtail Live's DjangoChannelsPublisher does.

Its argument is the CONFIG of its channel layer, as JSON. Each line of its input is a message, as JSON:
`{"group", "event", "key": str | null}`; for each, an empty object in a line of output. With a key the message goes out as
layers from 4.2 on encrypt it, which Debian's does not.
"""

import base64
import hashlib
import json
import sys

import django
import msgpack
import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

config = json.loads(sys.argv[1])
settings.configure(
    CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config}}
)
django.setup()


def send_encrypted(group, event, key):
    fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))
    data = MultiFernet([fernet]).encrypt(msgpack.packb(event))
    redis.Redis.from_url(config["hosts"][0]).publish(f"{config['prefix']}__group__{group}", data)


print("ready", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message.get("key"):
        send_encrypted(message["group"], message["event"], message["key"])
    else:
        async_to_sync(get_channel_layer().group_send)(message["group"], message["event"])
    print("{}", flush=True)
