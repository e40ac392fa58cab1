export interface Props {
  /** Milliseconds of visible time between two beats; the server's when that is shorter. */
  interval?: number
  /** Writes every message to the console. */
  debug?: boolean
  /** Where the session routes are; default "/session". */
  endpoint?: string
  /** Milliseconds after an input in which a person still counts as active; default 120000. */
  activityWindow?: number
  /** The sign-in page; default "/"; false: no redirect. */
  login?: string | false
  /** What to call this page; default its path. */
  page?: string
  /** False: no dialog and no notice. */
  dialog?: boolean
  /** False: no stream; an end from elsewhere is learnt from the next message. */
  push?: boolean
  /** Milliseconds the ending notice stays before the redirect; default 2500, at least 500. */
  notice?: number
  /** Language of warning and toast; default the page's, or else the browser's. */
  lang?: string
  /** Where the script is; default beside the session routes. */
  src?: string
  /** Any other option of the script tag: `data-…`. */
  [attribute: `data-${string}`]: string | undefined
}

declare const SessionHeartbeat: (props: Props) => any
export default SessionHeartbeat
