/** The package's version, put in when it is bundled. */
declare const PACKAGE_VERSION: string;
