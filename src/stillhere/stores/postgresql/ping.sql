-- Units: none. Takes a transaction id, which a server that cannot write refuses and which is synced to disk.
SELECT txid_current();
