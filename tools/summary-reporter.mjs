/** Ends a test run with one line that programs can read: `123 passed, 0 failed, 2 skipped`. */
export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) {
        const { state } = test.result();
        counts[state === 'pending' ? 'failed' : state]++;
      }
      // A file that fails as a whole, by a hook or while it is loaded, may have no failed test.
      if (!module.ok() && !tests.some((test) => test.result().state === 'failed')) counts.failed++;
    }
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
