/** Version of this program, as package.json has it. Written out, so that the bundled command reads no file to know it. */
export const version = '0.1.0'
