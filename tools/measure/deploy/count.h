/* What an exported model calls before each op, to be measured. */
void count_op(int op);
