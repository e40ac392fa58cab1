"""An OpenID provider, as its relying party meets it: login, tokens, their refresh and their end."""
