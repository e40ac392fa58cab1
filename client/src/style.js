/**
 * The looks, without their white space once built. Themed from outside: `stillhere-dialog { --stillhere-accent: #0a7 }`.
 * Names of our own begin with an underscore, so that no page's `--accent` can meet them.
 * Canvas and CanvasText are the browser's own light and dark; the accent is mixed to be readable on either.
 */
export const css = `
:host {
  color-scheme: var(--stillhere-scheme, light dark);
  --_accent: var(--stillhere-accent, #4f46e5);
  --_line: color-mix(in srgb, CanvasText 14%, Canvas);
}
dialog, #toast {
  box-sizing: border-box;
  position: fixed;
  width: min(432px, 100% - 32px);
  max-height: calc(100% - 32px);
  padding: 28px;
  border: 1px solid var(--_line);
  border-radius: 20px;
  background: color-mix(in srgb, var(--stillhere-text, CanvasText) 4%, var(--stillhere-surface, Canvas));
  color: var(--stillhere-text, CanvasText);
  font: 15px/1.5 var(--stillhere-font, system-ui, sans-serif);
  box-shadow: 0 24px 64px -12px #0006;
}
#toast { inset: auto 0 24px; margin: auto; padding: 20px 24px }
dialog::backdrop {
  background: #0b0d1273;
  backdrop-filter: blur(4px);
}
#card { display: grid; grid-template-columns: auto 1fr; gap: 24px 20px }
#dial {
  display: grid;
  place-items: center;
  width: 72px;
  height: 72px;
  border-radius: 50%;
  background:
    radial-gradient(closest-side, Canvas 86%, #0000 88%),
    conic-gradient(var(--_accent) calc(var(--left) * 1turn), var(--_line) 0);
  font-size: 18px;
  font-weight: 600;
  font-variant-numeric: tabular-nums;
}
h2 { margin: 0; font-size: 19px; line-height: 1.3 }
p { margin: 6px 0 0; opacity: .75 }
p:empty { display: none }
#status { opacity: 1; font-weight: 600 }
#spoken { position: absolute; clip-path: inset(50%) }
footer { grid-column: 1/-1; display: flex; gap: 10px; justify-content: end }
button {
  min-height: 44px;
  padding: 0 18px;
  border: 1px solid var(--_line);
  border-radius: 12px;
  background: 0 0;
  color: inherit;
  font: inherit;
  font-weight: 600;
}
#primary { background: var(--_accent); color: var(--stillhere-on-accent, #fff) }
:focus-visible { outline: 3px solid color-mix(in srgb, var(--_accent), CanvasText 20%); outline-offset: 2px }
:disabled { opacity: .5 }
#toast :is(#dial, #secondary) { display: none }
#toast #card { grid-template-columns: 1fr auto; align-items: center }
#toast footer { grid-column: auto }
@media (max-width: 480px) {
  dialog { margin-bottom: 16px }
  #toast { bottom: 16px }
  #toast #card { grid-template-columns: auto }
  footer { flex-direction: column-reverse }
}
@media (prefers-reduced-motion: no-preference) {
  dialog, #toast { animation: rise .25s }
  @keyframes rise { from { opacity: 0; transform: translateY(12px) } }
}`
