"""Python that makes otolith's models and example songs; never needed to build, run or test the package."""
