class BaseWebsocketPublisher:
    """Like the original's: receives the signal, renders the posts, publishes."""

    def __call__(self, sender, channel_id, renders, removals, **kwargs):
        rendered = {}
        for post in renders:
            content = post.render(context={"block_id": post.id})
            rendered[post.id] = {"show": post.value["show"], "content": content}
        return self.publish(channel_id=channel_id, renders=rendered, removals=removals)

    def publish(self, channel_id, renders, removals):
        raise NotImplementedError
