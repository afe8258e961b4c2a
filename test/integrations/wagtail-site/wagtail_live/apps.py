from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string


class WagtailLiveConfig(AppConfig):
    """Like the original's: connects the publisher, if it is of the base class, for as long as the process lives."""

    name = "wagtail_live"

    def ready(self):
        from wagtail_live.publishers.websocket import BaseWebsocketPublisher
        from wagtail_live.signals import live_page_update

        publisher = import_string(settings.WAGTAIL_LIVE_PUBLISHER)
        if issubclass(publisher, BaseWebsocketPublisher):
            live_page_update.connect(publisher(), weak=False, dispatch_uid="live_publisher")
