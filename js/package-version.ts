/** Put in by the bundler. */
declare const PACKAGE_VERSION: string;

/** Version of this package. @internal */
export const packageVersion: string = PACKAGE_VERSION;
