"""The settings by what they are about, a file each; `server/settings.py` puts them together and loads them."""
