// node send.js HOST PORT KIND: one delivery by nodemailer; NODE_PATH says where it lies. Prints what the server said.
const nodemailer = require("nodemailer");

const [host, port, kind] = process.argv.slice(2);
const attachment = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const mail = {
  from: '"Bob" <bob@there.example>',
  to: "alice@example.test",
  subject: "Grüße aus Köln 🐎",
  text: "Schöne Grüße\n.\n..\n",
  html: "<p>Schöne Grüße</p>",
  attachments: [{ filename: "ä.bin", content: attachment }],
};

async function main() {
  const transport = nodemailer.createTransport({ host, port: Number(port), secure: false, ignoreTLS: true, pool: kind === "pool" });
  if (kind === "verify") {
    await transport.verify();
    console.log("verified");
  } else if (kind === "pool") {
    const sent = await Promise.all(Array.from({ length: 50 }, (_, i) => transport.sendMail({ ...mail, subject: `pooled ${i}` })));
    console.log(sent.length);
  } else if (kind === "dsn") {
    const dsn = { id: "id1", return: "headers", notify: ["failure", "delay"], recipient: "bob@there.example" };
    console.log((await transport.sendMail({ ...mail, dsn })).response);
  } else if (kind === "refused") {
    try {
      await transport.sendMail({ ...mail, to: "nobody@example.test" });
    } catch (error) {
      console.log(error.responseCode);
    }
  } else {
    console.log((await transport.sendMail(mail)).response);
  }
  transport.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
