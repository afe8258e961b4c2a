from django.dispatch import Signal

live_page_update = Signal()
