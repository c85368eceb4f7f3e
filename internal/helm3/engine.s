// The compiler takes functions without a body, as those linked by name in engine.go, only beside an assembly file.
