from viterbi_sampling.cli import main

main()
