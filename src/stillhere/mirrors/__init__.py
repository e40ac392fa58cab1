"""Floor 4: other systems that are told of visits: an outbox drained to NocoDB, to webhooks, to a mailbox."""
