"""Where the bytes are: adapters of the port `storage.ports.Blobs`."""
