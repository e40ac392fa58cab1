/**
 * A page's own words, made fit for the wire: no control characters, no half of a surrogate pair, not too long. What the
 * server would refuse must not keep a page from saying that somebody is there.
 *
 * @param {string} words
 * @param {number} most  characters, as the server counts them: by code point
 */
export const plain = (words, most) => [...words.replace(/[\p{Cc}\p{Cs}]/gu, " ")].slice(0, most).join("")
