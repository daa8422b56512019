/** What the page uses of Trusted Types; absent in browsers that do not enforce them. */
interface PagePolicy {
  createScriptURL(url: string): string & { readonly trusted: unique symbol };
}
declare var trustedTypes: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): PagePolicy } | undefined;
