export default {
  // A folder of its own for the site may lie anywhere.
  base: './',
  build: { target: 'esnext' },
  // The dev server would move the code away from its worker and kernels.
  optimizeDeps: { exclude: ['ivit'] },
};
