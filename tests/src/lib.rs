//! Black-box tests of the binary and checks of the repository itself.
