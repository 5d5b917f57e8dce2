"""What goes out by itself: rules choose instances, queues keep them, senders bring them to destinations."""
